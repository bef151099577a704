// size 480x560
// Brown teddy bear sitting on a wooden floor.
#declare Rad = 0;
#include "studio.inc"
#declare Fur = rgb <0.46, 0.25, 0.10>;
#declare Pad = rgb <0.74, 0.54, 0.32>;
#include "teddy.inc"
View(<3, 19, -62>, <0, 12.4, -2>, 27)
Key(<-50, 70, -50>, rgb <1, 0.95, 0.88>*0.85, 28)
Fill(<60, 30, -60>, rgb 0.18)
Boards(Pine1, Pine2, 11, -60, 40)
Paint_Wall(40, rgb <0.48, 0.62, 0.70>)
box { <-300, 0, 38.5>, <300, 9, 40> Enamel(rgb 0.8) }
object { Teddy(<38, 0, -14>, <38, 0, 14>) }
object { Bow(rgb <0.55, 0.03, 0.05>) scale 0.95 translate <0, 13.6, -5.6> }
