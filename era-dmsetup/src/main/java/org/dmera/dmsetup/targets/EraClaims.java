// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.util.ArrayList;
import java.util.List;
import org.dmera.core.linux.Errno;

/**
 * What the era targets of an engine keep their records on, and what they record. Records on which anybody else writes are
 * ruined, so no target's metadata may lie where another target's metadata or origin, or its own origin, does: not by the same
 * path, nor by a link, nor through other mapped devices.
 */
final class EraClaims {
    private final List<Claim> claims = new ArrayList<>();

    /** One target's part. */
    static final class Claim {
        private final Object owner;
        private final Object table;
        private final Backing metadata;
        private final Backing origin;
        /** Null until it is made. */
        private Target target;

        private Claim(Object owner, Object table, Backing metadata, Backing origin) {
            this.owner = owner;
            this.table = table;
            this.metadata = metadata;
            this.origin = origin;
        }

        private boolean isOtherTableOf(Claim other) {
            return owner.equals(other.owner) && table != other.table;
        }
    }

    /** Where a claim's metadata and origin lie as the tables are now. */
    private record Located(Claim claim, StorageAreas metadata, StorageAreas origin) {
        static Located of(Claim claim) {
            return new Located(claim, StorageAreas.of(claim.metadata), StorageAreas.of(claim.origin));
        }
    }

    /**
     * Claims what a target is about to be made of, which lies apart ({@link #requireApart(Backing, Backing)}).
     *
     * @param owner the device that the target is for
     * @param table tells the table from the device's other one, which may use the same metadata
     * @throws TableException EBUSY when another target is in the way
     */
    synchronized Claim claim(Object owner, Object table, Backing metadata, Backing origin) throws TableException {
        Claim claim = new Claim(owner, table, metadata, origin);
        Located located = Located.of(claim);
        for (Claim other : claims) {
            requireApart(located, Located.of(other));
        }
        claims.add(claim);
        return claim;
    }

    /** The target has been made. */
    synchronized void made(Claim claim, Target target) {
        claim.target = target;
    }

    synchronized void release(Claim claim) {
        claims.remove(claim);
    }

    /** As {@link #claim}, for all that is claimed, after what lies beneath may have changed. */
    synchronized void requireApart() throws TableException {
        List<Located> all = new ArrayList<>();
        for (Claim claim : claims) {
            Located located = Located.of(claim);
            requireApart(located.metadata, located.origin);
            for (Located other : all) {
                requireApart(located, other);
            }
            all.add(located);
        }
    }

    /** EINVAL when the two lie on one another. */
    static void requireApart(Backing metadata, Backing origin) throws TableException {
        requireApart(StorageAreas.of(metadata), StorageAreas.of(origin));
    }

    private static void requireApart(StorageAreas metadata, StorageAreas origin) throws TableException {
        if (metadata.overlaps(origin)) {
            throw TableWords.invalid("Metadata and origin are the same device");
        }
    }

    private static void requireApart(Located a, Located b) throws TableException {
        if (a.metadata.overlaps(b.metadata) && !a.claim.isOtherTableOf(b.claim)) {
            throw new TableException("Metadata device is in use by another era target", Errno.EBUSY.number());
        }
        if (a.metadata.overlaps(b.origin, b.claim.target) || b.metadata.overlaps(a.origin, a.claim.target)) {
            throw new TableException("Metadata device is the origin of another era target", Errno.EBUSY.number());
        }
    }
}
