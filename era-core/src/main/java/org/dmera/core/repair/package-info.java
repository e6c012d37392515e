// SPDX-License-Identifier: Apache-2.0
/** Repair in place, of what follows from sound trees: the space map. It refuses where a salvage would find a later state. */
package org.dmera.core.repair;
