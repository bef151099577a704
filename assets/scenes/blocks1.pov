// size 560x480
// Stack of letter blocks on a wooden table.
#include "studio.inc"
#include "blocks.inc"
View(<6, 15, -36>, <0.6, 6.8, 0>, 36)
Key(<-50, 60, -40>, rgb <1, 0.96, 0.9>*0.9, 24)
Boards(Oak1, Oak2, 12, -60, 30)
Paint_Wall(40, rgb <0.62, 0.55, 0.45>)
object { Block("A", rgb <0.62, 0.03, 0.03>) rotate y*18 translate <-5.6, 0, -1> }
object { Block("B", rgb <0.02, 0.14, 0.50>) rotate y*-14 translate <0.4, 0, 1> }
object { Block("C", rgb <0.04, 0.36, 0.08>) rotate y*-30 translate <6.8, 0, -1.6> }
object { Block("D", rgb <0.85, 0.50, 0.02>) rotate y*24 translate <-2.6, 5, 0.2> }
object { Block("E", rgb <0.40, 0.06, 0.42>) rotate y*-12 translate <3.6, 5, 0.4> }
object { Block("F", rgb <0.80, 0.20, 0.02>) rotate y*8 translate <0.4, 10, 0.4> }
