// size 640x440
// Bananas with an orange and an apple on a plain ground.
#include "studio.inc"
#include "fruit.inc"
View(<2, 30, -32>, <0.2, 1.6, 8.0>, 39)
Key(<-40, 60, -30>, rgb <1, 0.96, 0.9>*0.85, 24)
Sweep(70, rgb <0.42, 0.55, 0.58>)
#for (I, 0, 2)
  object { Banana() translate y*-2 rotate x*(64 - 3*I) translate <-10.8, 0, 0> rotate y*(10 - 15*I) translate <10.8, 1.9 + 0.25*I, 5.2 - 0.5*I> }
#end
object { Orange() rotate <-20, 40, 12> translate <0.4, 0.1, 17.6> }
object { Apple(rgb <0.52, 0.02, 0.02>, rgb <0.75, 0.32, 0.06>) rotate <-10, 60, -5> translate <8.2, 0, 19.5> }
