// size 640x440
// Vegetable pizza, one slice drawn out, on a checked cloth.
#include "studio.inc"
#include "pizza.inc"
View(<-7, 29, -38>, <0, 0, -2.4>, 44)
Key(<60, 70, 10>, rgb <1.0, 0.97, 0.92>*0.9, 30)
plane { y, 0 Gingham_T(rgb <0.10, 0.22, 0.42>, 6) }
#declare Whole = union {
  object { Pizza_Base }
  Tomato(<-1, 0, 2.4>) Tomato(<-7.6, 0, -2.2>) Tomato(<5.8, 0, 5.4>) Tomato(<-4.2, 0, 8.4>) Tomato(<7.8, 0, -3>) Tomato(<-2.4, 0, -7.8>) Tomato(<3.2, 0, -7.2>)
  #for (I, 0, 12) Olive(vrotate(<3 + 7.2*rand(Pizza_Seed), 0.1, 0>, y*(I*137.5))) #end
  #for (I, 0, 9) Pepper(vrotate(<4.5 + 6*rand(Pizza_Seed), 0.1, 0>, y*(I*97 + 40)), 360*rand(Pizza_Seed)) #end
}
#declare Wedge = intersection {
  plane { vrotate(-x, y*24), 0 } plane { vrotate(x, y*-24), 0 } plane { z, 0 }
  texture { pigment { bozo scale 0.5 color_map { [0 rgb <0.85, 0.68, 0.38>] [1 rgb <0.72, 0.48, 0.2>] } } normal { bumps 0.6 scale 0.3 } }
}
union {
  difference { object { Whole } object { Wedge } }
  intersection { object { Whole } object { Wedge } translate <-0.4, 0, -5> rotate y*3 }
  translate y*1
}
union {
  difference { object { RCyl(1.0, 19, 0.45) } cylinder { y*0.75, y*2, 17 } }
  Enamel(rgb <0.42, 0.16, 0.08>)
}
