// Continues a text with llama.cpp, and prints its token ids as JSON: {"prompt": [...], "greedy": [...]}.
//
//     node check_llama_cpp.mjs FILE.gguf TEXT COUNT
//
// Run it where `npm install --ignore-scripts --omit=optional node-llama-cpp@3.22.1 @node-llama-cpp/linux-x64@3.22.1` was run.
import path from "node:path";
import {pathToFileURL} from "node:url";

const library = path.resolve("node_modules/node-llama-cpp/dist/index.js");
const {getLlama} = await import(pathToFileURL(library).href);
const [file, text, count] = process.argv.slice(2);

const llama = await getLlama({gpu: false, build: "never", logLevel: "error"});
const model = await llama.loadModel({modelPath: file});
const context = await model.createContext({contextSize: 64, threads: 1});
const prompt = model.tokenize(text);
const greedy = [];
for await (const token of context.getSequence().evaluate(prompt, {temperature: 0})) {
    greedy.push(token);
    if (greedy.length >= Number(count))
        break;
}
console.log(JSON.stringify({prompt, greedy}));
process.exit(0);
