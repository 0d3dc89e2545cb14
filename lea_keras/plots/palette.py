"""Colours of Okabe and Ito, which colour-blind readers tell apart; markers and dashes do the same in grey print."""

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY_BLUE, BLACK = "#E69F00", "#56B4E9", "#000000"
PALE_BLUE = "#9ECAE1"  # of areas, on which a black line is seen

#: In the order in which lines take them.
OF_LINES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY_BLUE, BLACK)

#: Of classes, of which there are more; the last three are P. Tol's wine and olive, and grey.
OF_CLASSES = (*OF_LINES, "#882255", "#999933", "#888888")
