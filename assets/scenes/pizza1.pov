// size 640x480
// Pepperoni pizza on a wooden board.
#include "studio.inc"
#include "pizza.inc"
View(<3, 34, -30>, <0, 0, -1.0>, 50)
Key(<-50, 70, 30>, rgb <1.0, 0.95, 0.86>*0.95, 30)
Boards(Walnut1, Walnut2, 13, -60, 60)
union {
  object { RCyl(1.6, 18, 0.5) }
  object { RBox(<15, 0, -2.6>, <29, 1.6, 2.6>, 0.75) }
  Wood_T(Pine1, Pine2) rotate y*-38
}
union {
  object { Pizza_Base }
  Pepperoni(<0.3, 0, 0.4>)
  #for (I, 0, 4) Pepperoni(vrotate(<5.1, 0, 0>, y*(72*I + 14))) #end
  #for (I, 0, 8) Pepperoni(vrotate(<9.4, 0, 0>, y*(40*I + 4 + 10*rand(Pizza_Seed)))) #end
  Basil(<-2.9, 0.1, 1.2>, 140, 3.4) Basil(<-2.4, 0.2, 1.0>, 30, 3.0)
  Basil(<5, 0.1, -6.4>, -60, 3.2) Basil(<4.8, 0.1, 6.4>, 200, 2.8) Basil(<-7.4, 0.1, -3.4>, 260, 2.6)
  translate y*1.6
}
