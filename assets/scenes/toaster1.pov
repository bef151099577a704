// size 640x480
// Red toaster with two slices, tiled kitchen wall.
#include "studio.inc"
#declare Lever = 0;
#declare Body_T = Enamel(rgb <0.55, 0.025, 0.02>)
#include "toaster.inc"
View(<22, 28, -52>, <0, 11.5, 0>, 42)
Key(<-60, 80, -40>, rgb <1, 0.96, 0.9>*0.9, 30)
Softbox(<-60, 50, -60>, 30, 30)
Boards(Oak1, Oak2, 14, -60, 28)
Tile_Wall(28, rgb <0.74, 0.78, 0.76>, 10)
object { Toaster(12.5) rotate y*14 }
