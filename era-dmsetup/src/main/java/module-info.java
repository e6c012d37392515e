// SPDX-License-Identifier: Apache-2.0

/** The dmsetup-like command, the engine that hosts targets in userspace, and the backup of whole devices. */
module org.dmera.dmsetup {
    requires com.fasterxml.jackson.core;
    // Only in the build.
    requires static info.picocli;
    requires java.management;
    requires java.naming;
    requires jdk.management;
    requires jdk.net;
    requires org.dmera.core;
    requires org.dmera.tools;
    requires org.jnrproject.ffi;
}
