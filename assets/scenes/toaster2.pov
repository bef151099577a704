// size 600x460
// Steel toaster, seen from the other side, on a dark table.
#include "studio.inc"
#declare Lever = -6;
#declare Body_T = Steel(rgb <0.75, 0.76, 0.78>)
#include "toaster.inc"
View(<-30, 24, -50>, <0, 12.5, 0>, 40)
Key(<50, 80, -50>, rgb <1, 0.97, 0.92>*0.9, 30)
Softbox(<50, 40, -70>, 25, 40)
Softbox(<-80, 40, -20>, 25, 40)
Boards(Walnut1, Walnut2, 13, -90, 45)
Paint_Wall(55, rgb <0.62, 0.55, 0.45>)
object { Toaster(13.2) rotate y*-4 }
