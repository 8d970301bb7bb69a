/** Who may change something: holders of the token, or, where none is configured, this machine itself. */
import { timingSafeEqual, createHash } from 'node:crypto'
import { BlockList, isIPv6 } from 'node:net'
import type { AdminError } from '../../../lib/admin-api.ts'

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

export interface Caller {
  /** The Authorization header. */
  readonly authorization: string | undefined
  readonly remoteAddress: string | undefined
}

/**
 * Undefined when the caller may change something. `tokens`, any of which counts, are read for each request, so that a new one
 * counts at once; undefined: none is configured. An empty file lets nobody in.
 */
export function refusal(caller: Caller, tokens: readonly string[] | undefined): AdminError | undefined {
  if (tokens === undefined) {
    if (isLoopback(caller.remoteAddress)) return undefined
    return {
      code: 'Forbidden',
      message:
        'changes are refused except over loopback, because no token is configured: start the member with --admin-token-file',
    }
  }
  const given = /^Bearer (.+)$/.exec(caller.authorization ?? '')?.[1]
  if (given === undefined) {
    return {
      code: 'Unauthorized',
      message: 'a change needs the header "Authorization: Bearer <token>" with the token of --admin-token-file',
    }
  }
  // All of them, whichever it is: how long it takes tells nothing.
  const matching = tokens.filter((token) => isSame(given, token))
  return matching.length > 0
    ? undefined
    : { code: 'Unauthorized', message: 'the token is none of those in --admin-token-file' }
}

/** Digests have equal lengths, so the comparison takes the same time whatever the input. */
function isSame(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest())
}

function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false
  return LOOPBACK.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}
