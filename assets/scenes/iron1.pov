// size 640x460
// Electric iron on a grey cloth.
#include "studio.inc"
#include "iron.inc"
View(<-16, 17, -38>, <0.6, 6.6, 0>, 40)
Key(<-40, 60, -40>, rgb <1, 0.97, 0.92>*0.9, 24)
Softbox(<-40, 30, -50>, 20, 20)
plane { y, 0 texture { pigment { rgb <0.50, 0.56, 0.60> } normal { quilted 0.5 control0 0.5 control1 0.5 scale 0.35 } } }
Tile_Wall(45, rgb <0.74, 0.78, 0.76>, 11)
object { Iron(rgb <0.70, 0.72, 0.74>) rotate y*8 }
sphere_sweep { b_spline 9, <10, 9.6, 0>, 0.45, <12, 9.6, -1.5>, 0.45, <15.5, 9.2, -2>, 0.45, <19, 6, 0>, 0.45, <20, 1.5, 4>, 0.45, <17, 0.2, 9>, 0.45, <9, 0.45, 12>, 0.45, <-2, 0.45, 14>, 0.45, <-20, 0.45, 22>, 0.45 Matt(rgb 0.05) }
