// size 640x420
// Toy car with a wind-up key on a wooden floor.
#include "studio.inc"
#include "car.inc"
#include "blocks.inc"
View(<-20, 15, -38>, <0.8, 6.4, 0>, 36)
Key(<-45, 65, -45>, rgb <1, 0.96, 0.9>*0.9, 26)
Softbox(<-40, 60, -60>, 30, 20)
Boards(Pine1, Pine2, 11, -60, 50)
Paint_Wall(50, rgb <0.48, 0.62, 0.70>)
object { Car(rgb <0.02, 0.34, 0.50>) rotate y*6 }
object { Block("T", rgb <0.62, 0.03, 0.03>) rotate y*24 translate <-7.5, 0, 18> }
object { Block("O", rgb <0.85, 0.50, 0.02>) rotate y*-12 translate <-14, 0, 15> }
object { Block("Y", rgb <0.04, 0.36, 0.08>) rotate y*6 translate <-10.8, 5, 16.4> }
