// size 640x460
// Iced doughnuts with sprinkles on a plate.
#include "studio.inc"
#include "doughnut.inc"
View(<2, 24, -32>, <0.4, 1.6, 0.6>, 38)
Key(<-45, 55, -5>, rgb <1, 0.95, 0.9>*0.9, 22)
Boards(Oak1, Oak2, 12, -60, 60)
object { Doughnut(rgb <0.88, 0.34, 0.46>, 90) rotate y*40 translate <-4.9, 1, -1.6> }
object { Doughnut(rgb <0.13, 0.05, 0.02>, 70) rotate y*100 translate <5.6, 0.9, -2.2> }
object { Doughnut(rgb <0.86, 0.84, 0.78>, 80) rotate y*200 translate <0.6, 0.9, 7.2> }
difference { object { RCyl(1.3, 14.5, 0.45) } cylinder { y*0.8, y*2, 13 } Enamel(rgb <0.35, 0.5, 0.62>) }
