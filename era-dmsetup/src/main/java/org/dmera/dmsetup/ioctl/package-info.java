// SPDX-License-Identifier: Apache-2.0
/**
 * The device-mapper control interface (dm-ioctl 4.x) as bytes: {@code struct dm_ioctl} and its payloads, encoded and
 * decoded. No I/O. The same codec serves ioctl(2) on the kernel and our own engine's socket.
 */
package org.dmera.dmsetup.ioctl;
