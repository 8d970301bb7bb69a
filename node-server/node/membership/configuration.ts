/** The configuration as the store keeps it, and as the history shows it: JSON with IDs in hex. */
import type { ConfigHistoryRow } from '../../../lib/admin-api.ts'
import { MemberId, formatId, parseId } from '../../../lib/ids.ts'
import { boolean, integer, list, matching, object, readJson, text, type Shape } from '../../../lib/shape.ts'
import { EMPTY_CONFIGURATION } from '../../raft/membership.ts'
import type { Configuration } from '../../raft/message.ts'

const ids = list(matching(/^[0-9a-f]{1,16}$/))
const configurationJson = object({
  voters: ids,
  votersOutgoing: ids,
  learners: ids,
  learnersNext: ids,
  autoLeave: boolean,
})
const historyRowJson: Shape<ConfigHistoryRow> = object({
  index: integer(0),
  voters: ids,
  votersOutgoing: ids,
  learners: ids,
  operationId: text,
})

const toHex = (members: readonly MemberId[]): string[] => members.map(formatId)
const fromHex = (texts: readonly string[]): MemberId[] => texts.map((text) => MemberId(parseId(text) ?? 0n))

export function encodeConfiguration(configuration: Configuration): Buffer {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = configuration
  const json = {
    voters: toHex(voters),
    votersOutgoing: toHex(votersOutgoing),
    learners: toHex(learners),
    learnersNext: toHex(learnersNext),
    autoLeave,
  }
  return Buffer.from(JSON.stringify(json))
}

/** Nothing stored is the configuration of a member that has not joined yet. */
export function decodeConfiguration(bytes: Uint8Array): Configuration {
  if (bytes.length === 0) return EMPTY_CONFIGURATION
  const json = readJson(configurationJson, bytes)
  return {
    voters: fromHex(json.voters),
    votersOutgoing: fromHex(json.votersOutgoing),
    learners: fromHex(json.learners),
    learnersNext: fromHex(json.learnersNext),
    autoLeave: json.autoLeave,
  }
}

export function encodeHistoryRow(index: number, configuration: Configuration, operationId: string): Buffer {
  const { voters, votersOutgoing, learners } = configuration
  const row: ConfigHistoryRow = {
    index,
    voters: toHex(voters),
    votersOutgoing: toHex(votersOutgoing),
    learners: toHex(learners),
    operationId,
  }
  return Buffer.from(JSON.stringify(row))
}

export function decodeHistoryRow(bytes: Uint8Array): ConfigHistoryRow {
  return readJson(historyRowJson, bytes)
}
