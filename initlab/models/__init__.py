"""Any JAX model, unchanged: its program, its sites and what they carry.

What the modules are for, in the order in which a model passes through them:

    given         made: by name; adapters: of four frameworks; examples of the
                  lab: transformer, convnet, languages
    taken apart   program, with the internals of JAX; sites, by origins,
                  geometry, entries, elementwise, cones and softmax, makes a
                  plan
    kept          model, for an audit; uses, for what changes the params
    measured      measure, by taps; values holds the arrays, readings says what
                  is read off them, by moments; recognize names activations
    audited       audit: over seeds; snapshot: within a program; results turns
                  what was measured into places; repeats: which leaves one key
                  draws
    judged        verdict: a finding by expected laws, own_law or symptoms, of
                  what is judgeable
    redrawn       redraw and mimetic, by the schemes of leaves; calibrate, by
                  rescaling
    scaled        parametrization: rules by size; coordinates checks them, by
                  the first_steps of training
"""
