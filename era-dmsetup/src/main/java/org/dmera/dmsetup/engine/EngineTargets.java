// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.util.ArrayList;
import java.util.List;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.targets.EraTargetFactory;
import org.dmera.dmsetup.targets.TargetFactory;
import org.dmera.dmsetup.targets.TargetRegistry;

/** The target types of the engine, in the order in which {@code targets} lists them. */
final class EngineTargets {
    private EngineTargets() {}

    static List<TargetFactory> all(EngineLog log) {
        List<TargetFactory> all = new ArrayList<>();
        all.add(new EraTargetFactory(log::warn));
        all.addAll(TargetRegistry.simple());
        return all;
    }
}
