// size 560x480
// Cheeseburger on a white plate.
#include "studio.inc"
#include "burger.inc"
View(<4, 13, -35>, <0, 4.8, 0>, 30)
Key(<-45, 55, -30>, rgb <1, 0.95, 0.88>*0.95, 22)
Boards(Walnut1, Walnut2, 12, -60, 40)
Paint_Wall(60, rgb <0.62, 0.55, 0.45>)
object { Burger rotate y*20 translate y*0.8 }
difference { object { RCyl(1.3, 11, 0.4) } cylinder { y*0.7, y*2, 9.6 } Enamel(rgb 0.8) }
