// size 600x500
// Broccoli on a wooden table.
#include "studio.inc"
#include "broccoli.inc"
View(<4, 17, -36>, <1.6, 7.2, 0>, 36)
Key(<-45, 60, -20>, rgb <1, 0.97, 0.9>*1.0, 25)
Boards(Oak1, Oak2, 12, -60, 30)
Paint_Wall(60, rgb <0.62, 0.55, 0.45>)
object { Broccoli(28) rotate x*-12 rotate z*7 translate <-0.8, 1.8, 0> }
object { Floret(<0, 1.5, 0>, y, 1.5) translate <9.6, 0.2, -4> }
cone { <9.6, 1.1, -4>, 0.8, <12.2, 0.55, -5.4>, 0.6 texture { Stalk_T } }
