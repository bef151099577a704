// size 640x440
// Red toy locomotive on a track.
#include "studio.inc"
#include "train.inc"
View(<-19, 16, -40>, <-0.2, 6.2, 0>, 33)
Key(<-55, 65, -45>, rgb <1, 0.95, 0.88>*0.9, 26)
Boards(Walnut1, Walnut2, 12, -60, 60)
Paint_Wall(60, rgb <0.48, 0.62, 0.70>)
object { Track(-60, 60) }
object { Loco(rgb <0.60, 0.025, 0.02>, rgb <0.03, 0.28, 0.09>, rgb <0.50, 0.02, 0.02>) translate y*1.2 }
