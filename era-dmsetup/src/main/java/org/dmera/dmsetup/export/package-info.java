// SPDX-License-Identifier: Apache-2.0
/** How clients reach a mapped device: NBD, and what turns a device into a node of the host. */
package org.dmera.dmsetup.export;
