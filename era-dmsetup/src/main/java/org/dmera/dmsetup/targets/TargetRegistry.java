// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.util.List;

/** The target types that don't need more than a backing. */
public final class TargetRegistry {
    private TargetRegistry() {}

    /** In the order in which {@code dmsetup targets} lists them. */
    public static List<TargetFactory> simple() {
        return List.of(
                new Simple("zero", 1, 1, 0, ZeroTarget::load),
                new Simple("striped", 1, 6, 0, StripedTarget::load),
                new Simple("linear", 1, 4, 0, LinearTarget::load),
                new Simple("error", 1, 5, 0, ErrorTarget::load));
    }

    private interface Loader {
        Target load(long lengthSectors, List<String> words, TargetFactory.BackingOpener backings)
                throws TableException, IOException;
    }

    private record Simple(String type, int major, int minor, int patch, Loader loader) implements TargetFactory {
        @Override
        public int[] version() {
            return new int[] {major, minor, patch};
        }

        @Override
        public Target load(long lengthSectors, List<String> words, BackingOpener backings)
                throws TableException, IOException {
            return loader.load(lengthSectors, words, backings);
        }
    }
}
