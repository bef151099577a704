// size 460x600
// White refrigerator with notes and magnets, beside a kitchen cupboard.
#include "studio.inc"
#include "kitchen.inc"
#include "fridge.inc"
#declare Door_T = Enamel(rgb <0.78, 0.79, 0.80>)
View(<75, 135, -330>, <8, 97, 10>, 29)
Key(<-200, 330, -300>, rgb <1, 0.97, 0.92>*0.8, 110)
Boards(Pine1, Pine2, 14, -260, 80)
Tile_Wall(70, rgb <0.66, 0.70, 0.66>, 15)
object { Fridge() translate x*-10 }
object { Cupboard(90, rgb <0.35, 0.48, 0.50>) translate <27, 0, 8> }
object { Cupboard(90, rgb <0.35, 0.48, 0.50>) translate <-137, 0, 8> }
object { Plant(rgb <0.62, 0.6, 0.55>) scale 1.5 translate <52, 86, 38> }
// notes and magnets
union {
  box { <-3, 148, -1.15>, <11, 166, -1> rotate z*0 Matt(rgb <0.85, 0.75, 0.3>) }
  box { <14, 140, -1.15>, <27, 158, -1> Matt(rgb 0.9) }
  #for (I, 0, 6) box { <15.5, 154.5 - 2*I, -1.2>, <25 - mod(I*3, 5), 155 - 2*I, -1> Matt(rgb <0.2, 0.25, 0.5>) } #end
  #local Cols = array[5] { <0.7, 0.03, 0.03>, <0.05, 0.3, 0.65>, <0.1, 0.5, 0.1>, <0.9, 0.5, 0.02>, <0.6, 0.1, 0.5> }
  #local Px = array[5] { 4, 20.5, -4, 12, 22 } #local Py = array[5] { 164, 157, 136, 130, 128 }
  #for (I, 0, 4) object { RCyl(1, 1.6, 0.3) rotate x*-90 translate <Px[I], Py[I], -1> Plastic(rgb Cols[I]) } #end
  translate x*-12
}
