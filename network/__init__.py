"""Stage 3: a kernel card becomes the synapses of a neural network.

The stage reads a card and a data set, trains with a learning rule and meters every pulse. It never learns
where the card came from.
"""
