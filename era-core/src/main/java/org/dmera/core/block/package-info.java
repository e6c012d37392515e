// SPDX-License-Identifier: Apache-2.0
/** Devices of 4096-byte blocks, and the checksum seal that every metadata block carries. Knows no layout beyond that. */
package org.dmera.core.block;
