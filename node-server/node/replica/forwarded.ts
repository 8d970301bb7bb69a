/**
 * What a peer forwards to the leader goes into the log of every member and is never taken out again: an entry that cannot
 * be applied would end them all, at every start again. So only what this version can apply is taken.
 */
import { MalformedBytes } from '../../../lib/bytes.ts'
import { decodeCommand } from '../../mvcc/command.ts'
import type { Message, ProposedEntry } from '../../raft/message.ts'

/** Entries that are left out are passed to `onRefused`; their proposer waits in vain. */
export function onlyApplicable(
  messages: readonly Message[],
  onRefused: (message: Message, reason: string) => void,
): readonly Message[] {
  if (messages.every((message) => message.kind !== 'propose-request')) return messages
  return messages.map((message) => {
    if (message.kind !== 'propose-request') return message
    const entries = message.entries.filter((entry) => {
      const reason = whyNot(entry)
      if (reason !== undefined) onRefused(message, reason)
      return reason === undefined
    })
    return { ...message, entries }
  })
}

function whyNot({ kind, data }: ProposedEntry): string | undefined {
  try {
    const command = decodeCommand(data)
    const isConfig = command.kind === 'membership'
    return isConfig === (kind === 'config') ? undefined : `a ${command.kind} command in an entry of kind ${kind}`
  } catch (error) {
    if (!(error instanceof MalformedBytes)) throw error
    return error.message
  }
}
