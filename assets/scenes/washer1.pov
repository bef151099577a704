// size 520x560
// White washing machine with towels on top.
#include "studio.inc"
#include "kitchen.inc"
#include "washer.inc"
View(<-62, 84, -190>, <2, 50, 10>, 29)
Key(<-160, 240, -200>, rgb <1, 0.97, 0.92>*0.8, 90)
Softbox(<-120, 90, -160>, 40, 60)
Tile_Floor(rgb <0.30, 0.50, 0.62>, 30)
Paint_Wall(62, rgb <0.62, 0.55, 0.45>)
box { <-500, 0, 60>, <500, 9, 62> Enamel(rgb 0.8) }
object { Washer(rgb 0.80) }
// towels, basket
#for (I, 0, 3)
  object { RBox(<-14, 85 + 4.2*I, 12>, <14 - I, 89 + 4.2*I, 36>, 1.9) rotate y*2*sin(I*3) translate x*-11
    texture { pigment { rgb <(I = 1)*0.5 + 0.35, 0.45, 0.6 - 0.1*I> } normal { bumps 0.9 scale 0.6 } } }
#end
object { Plant(rgb <0.55, 0.22, 0.10>) scale 0.8 translate <17, 85, 26> }
