// size 480x540
// Stacking rings on a wooden table before a tiled wall.
#include "studio.inc"
#include "rings.inc"
View(<3, 17, -42>, <0.3, 8.4, 0>, 29)
Key(<-50, 60, -40>, rgb <1, 0.96, 0.9>*0.9, 24)
Boards(Oak1, Oak2, 12, -60, 26)
Tile_Wall(26, rgb <0.66, 0.70, 0.66>, 11)
object { Rings() }
torus { 2.2, 1.2 scale <1, 0.86, 1> rotate z*14 translate <8.2, 1.1, -4> Plastic(rgb <0.75, 0.3, 0.45>) }
