// Precompiled header of the test programs.
#pragma once

#include "shared/pch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
