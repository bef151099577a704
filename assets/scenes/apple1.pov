// size 560x480
// Three apples on a checked cloth.
#include "studio.inc"
#include "fruit.inc"
View(<4, 15, -34>, <0.3, 3.4, 0>, 33)
Key(<-50, 55, -25>, rgb <1, 0.96, 0.9>*0.95, 24)
plane { y, 0 Gingham_T(rgb <0.10, 0.22, 0.42>, 4) }
Paint_Wall(45, rgb <0.55, 0.48, 0.40>)
#declare Red = rgb <0.52, 0.02, 0.02>;
object { Apple(Red, rgb <0.75, 0.32, 0.06>) rotate y*30 rotate z*-6 translate <-4.8, 0, -0.6> }
object { Apple(rgb <0.42, 0.58, 0.06>, rgb <0.55, 0.66, 0.14>) rotate y*100 rotate <-12, 0, 8> translate <4.6, 0.1, -2> }
object { Apple(Red*0.9, rgb <0.72, 0.2, 0.04>) rotate <6, 200, -4> translate <1.2, 0, 7> }
object { Leaf Leaf_T(rgb <0.08, 0.26, 0.03>) scale 4.4 rotate <0, 20, 10> translate <-4.4, 6.2, -0.6> }
