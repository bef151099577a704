// size 560x460
// Yellow rubber duck on blue tiles.
#include "studio.inc"
#include "duck.inc"
View(<-17, 13, -34>, <0.2, 5.2, 0>, 28)
Key(<-55, 60, -40>, rgb <1, 0.96, 0.9>*0.9, 24)
Tile_Floor(rgb <0.30, 0.50, 0.62>, 7)
Tile_Wall(22, rgb <0.74, 0.78, 0.76>, 10)
object { Duck rotate y*18 translate y*-0.4 }
