// Gives the precompiled header a translation unit of its own; see cmake/postern.cmake.
