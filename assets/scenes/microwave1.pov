// size 640x420
// Silver microwave oven on a stone counter.
#include "studio.inc"
#include "kitchen.inc"
#include "microwave.inc"
View(<-26, 36, -86>, <3, 15, 10>, 39)
Key(<-80, 110, -60>, rgb <1, 0.97, 0.92>*0.85, 36)
plane { y, 0 Stone_T(rgb <0.42, 0.41, 0.40>) }
Tile_Wall(48, rgb <0.66, 0.70, 0.66>, 11)
object { Microwave(rgb <0.50, 0.51, 0.53>) rotate y*-4 }
object { Plant(rgb <0.55, 0.22, 0.10>) scale 0.9 translate <38, 0, 22> }
