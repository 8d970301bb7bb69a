/** Binds a server to an address. */
import { once } from 'node:events'
import { lstat, unlink } from 'node:fs/promises'
import type { Server } from 'node:net'
import { formatAddress, type Address } from './address.ts'

/**
 * Connections that the kernel keeps until they are accepted, as Go asks for; Node's 511 are not enough for clients that all
 * come back at once, and whoever finds no place tries again only a second later. The kernel's somaxconn may lower it.
 */
const BACKLOG = 4096

/** Resolves to `host:port` as bound, or the path of the socket. Rejects when the address is not to be had. */
export async function bind(server: Server, address: Address): Promise<string> {
  if (address.kind === 'unix') {
    await removeStaleSocket(address.path)
    server.listen({ path: address.path, backlog: BACKLOG })
    await once(server, 'listening')
    return address.path
  }
  server.listen({ ...hostOf(address), port: address.port, backlog: BACKLOG })
  await once(server, 'listening')
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port
  return formatAddress(address.host, port)
}

/**
 * Of localhost's addresses the one that etcdctl dials; Go, too, prefers it. 0.0.0.0 is every address of both families, as in
 * Go, where the machine has both: Node binds so without a host. A cluster of IPv6 alone starts its members as any other.
 */
function hostOf({ host }: Extract<Address, { kind: 'tcp' }>): { readonly host?: string } {
  if (host === '0.0.0.0') return {}
  return { host: host === 'localhost' ? '127.0.0.1' : host }
}

/** What a killed process left; anything but a socket is not ours to remove. */
async function removeStaleSocket(path: string): Promise<void> {
  const stat = await lstat(path).catch(() => undefined)
  if (stat?.isSocket() === true) await unlink(path)
}
