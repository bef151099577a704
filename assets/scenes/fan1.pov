// size 480x560
// Desk fan on a wooden table.
#include "studio.inc"
#include "fan.inc"
View(<-28, 32, -82>, <0, 21, 2>, 27)
Key(<-60, 90, -70>, rgb <1, 0.97, 0.92>*0.85, 30)
Boards(Pine1, Pine2, 13, -90, 40)
Paint_Wall(50, rgb <0.55, 0.30, 0.24>)
object { Fan(rgb <0.04, 0.22, 0.48>, rgb 0.72) }
