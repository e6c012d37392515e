// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.dmera.dmsetup.targets.Backing;
import org.dmera.dmsetup.targets.TargetFactory;

/** Opens what a table names, and keeps what each name led to. */
final class FoundBackings implements TargetFactory.BackingOpener {
    private final TargetFactory.BackingOpener opener;
    private final List<DeviceRecord.Found> found = new ArrayList<>();

    FoundBackings(TargetFactory.BackingOpener opener) {
        this.opener = opener;
    }

    /** What was opened so far. */
    List<DeviceRecord.Found> found() {
        return List.copyOf(found);
    }

    @Override
    public Backing open(String name) throws IOException {
        return keep(name, opener.open(name));
    }

    @Override
    public Backing openMetadata(String name) throws IOException {
        return keep(name, opener.openMetadata(name));
    }

    private Backing keep(String name, Backing backing) {
        String identity = backing.remembered();
        if (!identity.isEmpty()
                && found.stream().noneMatch(known -> known.word().equals(name))) {
            found.add(new DeviceRecord.Found(name, identity));
        }
        return backing;
    }

    @Override
    public Object owner() {
        return opener.owner();
    }
}
