// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

/** What walks of trees and of arrays have in common: whose blocks they read, and which tree they name in reports. */
abstract class Walk implements DamageLocation {
    final BlockReader reader;
    final TreeSpec spec;

    Walk(BlockReader reader, TreeSpec spec) {
        this.reader = reader;
        this.spec = spec;
    }

    /** The keys on the way from the root to what is visited. */
    abstract String keys();

    @Override
    public final Structure structure() {
        return spec.structure();
    }

    @Override
    public final String path() {
        return spec.path() + keys();
    }

    @Override
    public final String consequence() {
        return spec.consequence();
    }
}
