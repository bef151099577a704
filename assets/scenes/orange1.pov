// size 640x460
// Oranges, one cut in half, on a stone counter.
#include "studio.inc"
#include "fruit.inc"
View(<-3, 17, -34>, <0.2, 3.0, 0>, 35)
Key(<55, 60, -5>, rgb <1, 0.95, 0.88>*0.95, 22)
plane { y, 0 Stone_T(rgb <0.42, 0.41, 0.40>) }
Tile_Wall(26, rgb <0.74, 0.78, 0.76>, 10)
object { Orange() rotate <0, 0, 14> translate <-5.2, 0.2, 2.4> }
object { Orange() rotate <-24, 0, -30> translate <3.2, 0.2, 4.6> }
object { Half_Orange() rotate x*-62 rotate y*-10 translate <5.4, 3.55, -3.6> }
object { Half_Orange() rotate x*-8 translate <-3.4, 3.9, -6.2> }
object { Leaf Leaf_T(rgb <0.06, 0.22, 0.03>) scale 5 rotate y*150 translate <-5.8, 8, 2.4> }
