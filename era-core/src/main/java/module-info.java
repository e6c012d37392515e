// SPDX-License-Identifier: Apache-2.0

/**
 * The on-disk metadata of the kernel's dm-era target: read, changed, checked, repaired, and asked what was written since an
 * era.
 */
@SuppressWarnings("module") // those that it names are compiled later
module org.dmera.core {
    // O_DIRECT, which is looked up by name.
    requires jdk.unsupported;
    requires org.jnrproject.ffi;
    // For jnr-ffi, which as an automatic module can't name them. It makes classes of the native calls' interface.
    requires org.objectweb.asm;

    opens org.dmera.core.linux;

    exports org.dmera.core;
    exports org.dmera.core.format;
    exports org.dmera.core.block to
            org.dmera.tools,
            org.dmera.dmsetup;
    exports org.dmera.core.build to
            org.dmera.tools;
    exports org.dmera.core.cache to
            org.dmera.tools,
            org.dmera.dmsetup;
    exports org.dmera.core.check to
            org.dmera.tools,
            org.dmera.dmsetup;
    exports org.dmera.core.content to
            org.dmera.tools,
            org.dmera.dmsetup;
    exports org.dmera.core.evidence to
            org.dmera.tools,
            org.dmera.dmsetup;
    exports org.dmera.core.file to
            org.dmera.tools,
            org.dmera.dmsetup;
    exports org.dmera.core.linux to
            org.dmera.tools,
            org.dmera.dmsetup;
    exports org.dmera.core.metadata to
            org.dmera.tools,
            org.dmera.dmsetup;
    exports org.dmera.core.persistent to
            org.dmera.dmsetup;
    exports org.dmera.core.read to
            org.dmera.tools,
            org.dmera.dmsetup;
    exports org.dmera.core.repair to
            org.dmera.tools,
            org.dmera.dmsetup;
    exports org.dmera.core.salvage to
            org.dmera.tools;
}
