// size 560x540
// Cooker with a red pot, between cupboards.
#include "studio.inc"
#include "kitchen.inc"
#include "stove.inc"
View(<50, 150, -200>, <0, 60, 12>, 33)
Key(<-150, 260, -180>, rgb <1, 0.96, 0.9>*0.8, 90)
Boards(Oak1, Oak2, 14, -240, 70)
Tile_Wall(62, rgb <0.74, 0.78, 0.76>, 12)
object { Stove(rgb 0.78) }
object { Cupboard(80, rgb <0.55, 0.50, 0.40>) translate <31, 0, 0> }
object { Cupboard(80, rgb <0.55, 0.50, 0.40>) translate <-111, 0, 0> }
object { Pot(rgb <0.6, 0.03, 0.02>) rotate y*20 translate <-14.6, 91.4, 39.5> }
