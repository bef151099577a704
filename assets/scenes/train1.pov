// size 640x400
// Blue toy train with two loaded wagons, driving to the right.
#include "studio.inc"
#include "train.inc"
View(<14, 19, -58>, <1.2, 6.2, 0>, 45)
Key(<45, 65, -45>, rgb <1, 0.97, 0.92>*0.85, 26)
Sweep(60, rgb <0.62, 0.55, 0.40>)
object { Track(-60, 60) }
union {
  object { Loco(rgb <0.03, 0.16, 0.50>, rgb <0.75, 0.42, 0.02>, rgb <0.60, 0.03, 0.03>) translate x*-9 }
  object { Wagon(rgb <0.72, 0.44, 0.02>, rgb <0.60, 0.03, 0.03>) translate x*6.6 }
  object { Wagon(rgb <0.04, 0.34, 0.12>, rgb <0.60, 0.03, 0.03>) translate x*19.6 }
  #for (I, -1, 1) sphere { <6.6 + 3*I, 6.2, 0.6*I>, 1.9 Plastic(rgb <0.62 - 0.1*I, 0.06 + 0.2*(I = 0), 0.05 + 0.3*(I > 0)>) } #end
  #for (I, 0, 2) cylinder { <15.4, 4.4 + 1.5*(I = 2), -1.1 + 2.2*I - 3.3*(I = 2)>, <24, 4.4 + 1.5*(I = 2), -1.1 + 2.2*I - 3.3*(I = 2)>, 1.1 Wood_T(Pine1, Pine2) } #end
  scale <-1, 1, 1> translate <4, 1.2, 0>
}
