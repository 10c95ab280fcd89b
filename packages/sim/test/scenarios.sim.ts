// The scenarios stand in a folder of their own; this file is where the test runner finds them.

import "../scenarios/disks.sim.ts";
import "../scenarios/leaders.sim.ts";
import "../scenarios/membership.sim.ts";
import "../scenarios/snapshots.sim.ts";
