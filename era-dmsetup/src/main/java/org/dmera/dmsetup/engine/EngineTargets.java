// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.util.ArrayList;
import java.util.List;
import org.dmera.dmsetup.target.TargetFactory;
import org.dmera.dmsetup.target.TargetRegistry;

/** The target types of the engine, in the order in which {@code targets} lists them. */
final class EngineTargets {
    private EngineTargets() {}

    static List<TargetFactory> all() {
        return new ArrayList<>(TargetRegistry.simple());
    }
}
