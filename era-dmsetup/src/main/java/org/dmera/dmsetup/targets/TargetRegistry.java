// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The target types of an engine, by name. */
public final class TargetRegistry {
    private final Map<String, TargetFactory> factories = new LinkedHashMap<>();

    public TargetRegistry(List<TargetFactory> factories) {
        for (TargetFactory factory : factories) {
            this.factories.put(factory.type(), factory);
        }
    }

    /** The types that don't need more than a backing, in the order in which {@code dmsetup targets} lists them. */
    public static List<TargetFactory> simple() {
        return List.of(
                new ZeroTarget.Factory(),
                new StripedTarget.Factory(),
                new LinearTarget.Factory(),
                new ErrorTarget.Factory());
    }

    /** The factory of a type, or null. */
    public TargetFactory find(String type) {
        return factories.get(type);
    }

    /** All of them, in order. */
    public Collection<TargetFactory> all() {
        return factories.values();
    }
}
