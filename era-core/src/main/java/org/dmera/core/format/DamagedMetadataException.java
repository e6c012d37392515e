// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.io.IOException;

/**
 * The metadata isn't what the format asks for. The message says where, what was found, and what was expected, on one line;
 * {@link #kind} is the rule that is broken, {@link #blockNr}, {@link #structure} and {@link #device} are the place, each under
 * the name that {@code era_check --format json} gives it ({@code kind}, {@code block}, {@code structure}, {@code device}).
 */
public final class DamagedMetadataException extends IOException {
    private static final long serialVersionUID = 1L;

    /** The rule that is broken. */
    private final DamageKind kind;

    /** The metadata block that is damaged or referred to wrongly (u64), or −1 when it can't be named. */
    private final long blockNr;

    /** What the block is part of. */
    private final String structure;

    /** The device that the metadata is on, or null. */
    private String device;

    /**
     * With a whole message.
     *
     * @param kind the rule that is broken
     * @param blockNr the metadata block that is damaged or referred to wrongly (u64), or −1 when it can't be named
     * @param structure what the block is part of: {@code era array}
     * @param message where, what, and what was expected, on one line
     */
    public DamagedMetadataException(DamageKind kind, long blockNr, String structure, String message) {
        super(message);
        this.kind = kind;
        this.blockNr = blockNr;
        this.structure = structure;
    }

    /**
     * {@return one whose message is put together}
     *
     * @param kind the rule that is broken
     * @param blockNr the metadata block that is damaged or referred to wrongly (u64)
     * @param structure what it is part of
     * @param problem what was found in it, and what was expected
     */
    public static DamagedMetadataException inBlock(DamageKind kind, long blockNr, String structure, String problem) {
        return new DamagedMetadataException(
                kind,
                blockNr,
                structure,
                "metadata block " + Long.toUnsignedString(blockNr) + " (" + structure + "): " + problem);
    }

    /** {@return the rule that is broken; its {@link DamageKind#label} is stable} */
    public DamageKind kind() {
        return kind;
    }

    /** {@return the metadata block that is damaged or referred to wrongly (u64), or −1 when it can't be named} */
    public long blockNr() {
        return blockNr;
    }

    /** {@return what the block is part of: {@code superblock}, {@code era array}, {@code writeset of era 7}} */
    public String structure() {
        return structure;
    }

    /**
     * {@return the device that the metadata is on, by the path that it was opened with; null when that isn't known, as of one in
     * memory}
     */
    public String device() {
        return device;
    }

    /**
     * Names the device, for whoever reads from it and passes the exception on. A name that is known already stays.
     *
     * @param name the path that it was opened with, or null
     * @return this
     */
    public DamagedMetadataException on(String name) {
        if (device == null) {
            device = name;
        }
        return this;
    }
}
