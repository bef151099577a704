// size 600x480
// Cream teddy with a blue scarf, seen from the side, with two letter blocks, on a wooden table.
#declare Rad = 0;
#include "studio.inc"
#declare Fur = rgb <0.82, 0.62, 0.36>;
#declare Pad = rgb <0.82, 0.58, 0.50>;
#include "teddy.inc"
#include "blocks.inc"
View(<-32, 24, -50>, <3, 11.6, -2>, 37)
Key(<60, 70, -40>, rgb <1, 0.95, 0.88>*0.75, 28)
Fill(<-60, 30, -60>, rgb 0.16)
Boards(Walnut1, Walnut2, 12, -80, 45)
Tile_Wall(45, rgb <0.66, 0.70, 0.66>, 11)
object { Teddy(<60, 0, -30>, <20, 0, 20>) rotate y*14 }
union {
  torus { 4.5, 1.35 scale <1, 1, 0.95> rotate x*8 }
  object { RBox(<-1.5, -7, -0.5>, <1.5, 0, 0.5>, 0.45) rotate <-14, 0, 8> translate <1.6, 0, -5> }
  object { RBox(<-1.5, -5.4, -0.5>, <1.5, 0, 0.5>, 0.45) rotate <-16, 0, -14> translate <1.0, 0, -5.2> }
  object { Ell(<1.4, 0, -5.1>, <1.7, 1.4, 1.1>) }
  texture { pigment { gradient y sine_wave scale 1.3 color_map { [0.3 rgb <0.04, 0.12, 0.38>] [0.32 rgb <0.75, 0.76, 0.8>] [0.6 rgb <0.75, 0.76, 0.8>] [0.62 rgb <0.04, 0.12, 0.38>] } }
    normal { quilted 0.5 control0 0.5 control1 0.5 scale 0.4 } }
  translate y*13.4 rotate y*14
}
object { Block("A", rgb <0.6, 0.04, 0.03>) rotate y*32 translate <14.5, 0, -6> }
object { Block("B", rgb <0.03, 0.30, 0.10>) rotate y*8 translate <18.5, 0, 2> }
