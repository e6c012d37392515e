// SPDX-License-Identifier: Apache-2.0
/** Devices that are to be there at boot: eratab, and what must be right before one of them is made. */
package org.dmera.dmsetup.activation;
