/**
 * Descriptors of all messages and services of this folder, for what must know them at run time: JSON and reflection.
 *
 * Some fields are declared `bytes` in the protos though they hold an encoded mvccpb.KeyValue, so that stored bytes are
 * not encoded twice. Here they are what etcd declares them to be: on the wire the two are the same.
 */
import { clearField, createFileRegistry, fromJson, type FileRegistry } from '@bufbuild/protobuf'
import {
  FieldDescriptorProtoSchema,
  FieldDescriptorProto_Type as FieldType,
  FileDescriptorSetSchema,
  type DescriptorProto,
  type FieldDescriptorProto,
  type FileDescriptorSet,
} from '@bufbuild/protobuf/wkt'
import set from './generated/descriptors.json' with { type: 'json' }

const KEY_VALUE_FILE = 'etcd/kv.proto'
const KEY_VALUE = '.mvccpb.KeyValue'

/** Messages by the file they stand in, and which of their fields are key-values. */
const KEY_VALUE_FIELDS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  [KEY_VALUE_FILE]: { Event: ['kv', 'prev_kv'] },
  'etcd/rpc.proto': {
    RangeResponse: ['kvs'],
    PutResponse: ['prev_kv'],
    DeleteRangeResponse: ['prev_kvs'],
  },
  'etcd/election.proto': { LeaderResponse: ['kv'] },
}

function readDescriptors(): FileDescriptorSet {
  const descriptors = fromJson(FileDescriptorSetSchema, set)
  for (const file of descriptors.file) {
    const messages = KEY_VALUE_FIELDS[file.name]
    if (messages === undefined) continue
    if (file.name !== KEY_VALUE_FILE && !file.dependency.includes(KEY_VALUE_FILE)) file.dependency.push(KEY_VALUE_FILE)
    for (const message of file.messageType) {
      const names = messages[message.name] ?? []
      for (const field of message.field) if (names.includes(field.name)) declareKeyValue(message, field)
    }
  }
  return descriptors
}

/** A message has presence without the oneof that stands for `optional`. */
function declareKeyValue(message: DescriptorProto, field: FieldDescriptorProto): void {
  field.type = FieldType.MESSAGE
  field.typeName = KEY_VALUE
  if (!field.proto3Optional) return
  const oneofIndex = field.oneofIndex
  message.oneofDecl.splice(oneofIndex, 1)
  for (const other of message.field) if (other.proto3Optional && other.oneofIndex > oneofIndex) other.oneofIndex -= 1
  clearField(field, FieldDescriptorProtoSchema.field.oneofIndex)
  clearField(field, FieldDescriptorProtoSchema.field.proto3Optional)
}

export const DESCRIPTORS: FileDescriptorSet = readDescriptors()

export const REGISTRY: FileRegistry = createFileRegistry(DESCRIPTORS)
