import { describe, test } from "node:test";
import { backendContract } from "@etcd-ts/machine/testing";
import { LmdbBackend } from "../src/index.ts";
import { makeTestFolder, removeTestFolder } from "./test-folder.ts";

describe("the LMDB backend fulfils the contract", () => {
  backendContract(
    (name, run) => void test(name, run),
    async () => {
      const directory = makeTestFolder();
      return {
        open: () => LmdbBackend.open(directory),
        dispose: async () => removeTestFolder(directory),
      };
    },
  );
});
