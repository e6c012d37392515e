// SPDX-License-Identifier: Apache-2.0
/** A mapped device: its tables, its life, and its I/O. */
package org.dmera.dmsetup.device;
