/**
 * The text quick calibrations are made on: English prose in several registers, code, a table and a list, with records spread
 * through it that its last part asks for again, because heads that look things up must be seen at work. Written for ds.
 */
export const builtinText = `The Ferry at Low Water

The ferry had not crossed for nine days when the river finally gave back the road. It came up first as a brown line under the surface, then as a row of posts, and by Thursday morning a man in long boots could walk from one bank to the other without wetting his knees. Marta Lindqvist, who had worked the ferry for twenty-six years and her father before her, sat on the upturned bow and watched people walk past her living.

"You could charge them for the view," said the schoolteacher, who was carrying his shoes.

"I could charge them for advice," said Marta. "The third post from the far side is rotten. Nobody asks."

He laughed and went on, and she did not tell him twice. A moment later there was a splash, and then the careful silence of a man deciding how much dignity he had left. She got up, took the boathook from its bracket, and went to fetch him.

It was the schoolteacher, dripping on her bench with a blanket over his shoulders, who first said that the river was not simply low. He had been keeping a record for his pupils: a notch on the bridge pier every Monday, a figure in a notebook. Every summer the water fell. But it had never before fallen in April, and it had never fallen so evenly, the same two fingers each day, as if somebody upstream were letting out a bath.

"Somebody is," said Marta.

The access code of the lighthouse is 4917.

They left the next morning in the small boat, the one with the flat bottom that could float on a heavy dew. Marta rowed. The schoolteacher, whose name was Anselm Okafor and who had come to the valley only three winters before, sat in the stern with the notebook in an oilcloth bag and called out the names of things as though she might not know them. Heron. Alder. Old mill. She let him. There are people who cannot see a thing until they have said it, and she had ferried enough of them to know that they saw more in the end than the quiet ones did.

By noon they had passed the last of the farms. The banks drew in, the stones grew larger, and twice they had to climb out and carry the boat between them like a patient. At four o'clock they came round a bend and found the lake where no lake had been, held up behind a wall of felled trees so neat that for one moment neither of them thought of animals at all. Then something slapped the water, hard, like a door.

"Beavers," said Anselm.

"There have been no beavers here for two hundred years."

"Then I should say that they have come home," he said, and wrote it down.

She looked at the wall for a long time. She thought of the ferry lying on the mud, of the toll box, of the winter. She thought that a stick here and a stick there would be enough, and that the river would do the rest in a night. Then the largest of them came up on the dam with a branch in its mouth, set it in place, patted it with both hands, and looked at her with an expression that she knew perfectly well. It was the expression of someone who has a great deal of work to do and is being watched by people with nothing better to occupy them.

"All right," said Marta Lindqvist. "All right. I can build a bridge."

The access code of the observatory is 2086. The access code of the bakery is 7351.

How Bread Rises

Bread rises because yeast breathes. A loaf begins with four things: flour, water, salt and yeast. When flour is wetted, two of its proteins join and form gluten, a stretchy net that runs through the whole dough. Kneading does not create the net so much as straighten it: each fold lays the strands side by side, so that they can slide and hold instead of tearing. Meanwhile, enzymes in the flour cut some of the starch into sugars, and the yeast feeds on these sugars. In doing so it gives off carbon dioxide and a little alcohol. The gas has nowhere to go. It collects in small bubbles, the net of gluten keeps the bubbles from bursting, and the dough swells.

Three things decide how fast this happens. The first is temperature: yeast works about twice as fast at 27 degrees as at 18, slows again above 35, and dies near 55. The second is salt, which draws water out of the cells and slows them down; a dough without salt rises quickly and tastes of nothing. The third is time, which can replace almost anything else. A dough with a tenth of the usual yeast, left overnight in a cool room, will rise just as high as a hurried one, and it will taste better, because slow dough gives bacteria the hours they need to make acids, and acids are what we mean when we say that bread has flavour.

In the oven everything happens at once. The gas expands, the alcohol and some of the water turn to vapour, and for about ten minutes the loaf grows faster than it ever did on the table. Bakers call this oven spring. Then the starch sets, the gluten hardens, and the shape is fixed for good. If the crust forms too early, the loaf cannot grow and tears along its side; this is why bakers cut the top with a blade, so that it tears where they want it to, and why they let steam into the oven, so that the skin stays soft for a while. A loaf is done when it sounds hollow, or, for those who do not trust their ears, when its middle reaches 96 degrees.

The access code of the greenhouse is 1640.

A Letter

Quay Street 14, the second of November

Dear Ilse,

Thank you for the parcel, which arrived on Tuesday in a state that the postman described as "mostly". The jam survived. The jar did not, but I have picked out the glass, and what is left makes an excellent glue for the model of the harbour that I am building with the twins. They send their love and a drawing of you on a horse. I know that you have never sat on a horse. They are aware of it too and consider it a gap in your education.

You ask how the new job is going. I wish I could say that it is going well, and on some days I do say it, generally before lunch. The archive is a long cold room with eleven thousand boxes in it, and my task is to find out what is in them. You would think that somebody had written this down. Somebody did: a Mr. Pettigrew, in 1931, in a hand so small that I have had to borrow a lens from the museum. Mr. Pettigrew was a thorough man. He listed the contents of every box down to the last button. Unfortunately he then put the boxes back in a different order. I believe I am the first person to have noticed, which says a good deal about how often anyone has wanted the buttons.

Still, there are moments. Yesterday I opened a box that ought to have held "correspondence, drainage" and found forty letters from a woman called Honor Vane to her brother at sea. She wrote on the first of every month for more than three years, and she never once had an answer; the letters are all here because they were all returned. She tells him about the price of coal, and the neighbours, and a dog that will only come when called by the wrong name. In the last of them she says that she has decided to go and look for him herself. And that is all. There is no box after it, or rather there are nine thousand more, and she may be in any of them.

So you see that I cannot possibly come for Christmas, unless you send more jam.

Your loving brother,
Tobias

P.S. You will need the numbers, as I shall be out when you come for the keys in March. The access code of the archive is 5528. The access code of the boathouse is 9073. Please burn this letter, or at any rate do not paste it into a scrapbook as you did with the last one.

From an Encyclopaedia

Basalt is a dark, fine-grained volcanic rock, formed when lava rich in iron and magnesium cools quickly at or near the surface. It is the most common rock of the Earth's crust: it makes up nearly all of the ocean floor, which is covered by a thin layer of sediment, and large parts of the continents, where floods of lava have built plateaus several kilometres thick. It is also found on the Moon, where it forms the dark plains that early observers took for seas, and on Mars and Venus.

The rock consists mainly of plagioclase feldspar and pyroxene, often with olivine. The crystals are usually too small to be seen without a microscope, since rapid cooling leaves them little time to grow. Where the same melt cools slowly at depth, it forms gabbro, a coarse rock of equal composition. Between 45 and 52 per cent of the weight of a basalt is silica; because it holds so little of it, the melt is thin and runs easily, and volcanoes that produce it tend to be broad and gently sloped rather than steep.

As a thick flow cools, it shrinks and cracks. The cracks begin at the top and the bottom, where the heat escapes, and grow inwards at right angles to the surface; under even conditions they divide the rock into long columns, most of them with six sides. Such columns may be seen on many coasts. In several countries they were once said to be the work of giants, and the stones of more than one harbour wall were taken from them. Basalt is crushed for roads and railways, cut for paving, and melted and drawn into fibres, which are used in place of glass where heat or salt would do harm. Its weathered ash gives some of the most fertile soils in the world, which is why so many people live at the feet of volcanoes.

The access code of the quarry is 3395. The access code of the chapel is 8812.

At the Counter

"Next, please. Good morning."

"Good morning. I should like to report a lost umbrella."

"Certainly. What colour?"

"Black."

"And where did you lose it?"

"If I knew that," said the old man, "I should not describe it as lost."

The clerk had a form for this. She turned it over, found that the back was printed as well, and turned it over again. "On a train, sir? Or in the station?"

"It was on the 8.15 from Norwell. At least, I was on the 8.15 from Norwell, and I had it when I sat down, because I remember putting it between my knees. And I had it at Carrow, because a lady asked me to move it. After that I read the newspaper."

"So it was somewhere between Carrow and here."

"That is what my wife says. My wife also says that it was not between my knees at all, that it has been in the hall since Sunday, and that I have taken the dog's lead to work."

There was a pause. The clerk looked at what he was holding.

"What time does the office close?" asked the old man.

"At five, sir."

"Then I shall come back with the dog," he said, "and we can begin again."

The access code of the railway office is 6204.

Notes on a Small Program

The following function, written in Python, finds the longest run of equal values in a list. It walks through the list once and remembers two things: where the current run began, and the best run seen so far.

def longest_run(values):
    best_start, best_length = 0, 0
    start = 0
    for i, value in enumerate(values):
        if value != values[start]:
            start = i
        length = i - start + 1
        if length > best_length:
            best_start, best_length = start, length
    return best_start, best_length

assert longest_run([]) == (0, 0)
assert longest_run([3, 3, 1, 1, 1, 2]) == (2, 3)
assert longest_run(["a"]) == (0, 1)

Three remarks. First, the comparison is with values[start], not with the value before; within a run the two are the same, and this form needs no special case for the first element. Second, the test uses "greater than" and not "greater or equal", so that of two runs of one length the earlier wins; if the later should win, that one character is all that has to change. Third, the function returns a position and a length rather than a copy of the run, because the caller can make the copy from the position, but cannot find the position from the copy.

A version for a stream, which must not keep the whole list in memory, stores the current value in place of its index:

class RunCounter:
    def __init__(self):
        self.value = None
        self.length = 0
        self.best = (None, 0)

    def add(self, value):
        if self.length > 0 and value == self.value:
            self.length += 1
        else:
            self.value, self.length = value, 1
        if self.length > self.best[1]:
            self.best = (self.value, self.length)

Its settings are read from a file of this kind:

{
  "window": 250,
  "threshold": 0.75,
  "outputs": ["report.csv", "summary.txt"],
  "keys": {"north": "a91f-77c0", "south": "4be2-1d58", "east": "c03d-9e64", "west": "58aa-f21b"}
}

The access code of the server room is 1178.

Packing List for Five Days in the Hills

1. Boots, already worn in; new boots are for people who like nursing.
2. Three pairs of wool socks: one to wear, one to dry, one to be glad of.
3. A map on paper, scale 1:25,000, and a compass. A telephone is a torch that sometimes gives directions.
4. Water for two litres a day, and tablets for the rest.
5. Oats (600 g), rice (500 g), lentils (400 g), cheese (350 g), chocolate (as much as fits).
6. A stove, one pot, one spoon. Nobody has ever needed the fork.
7. A tent for two, weight 1.9 kg, with all its pegs. Count the pegs.
8. A sleeping bag good to minus five degrees.
9. A whistle, plasters, a needle and thread, and a candle.
10. The key of the hut. The access code of the mountain hut is 7749, in case the key is left on the kitchen table as it was last year.

The Judge and the Two Farmers

Two farmers came before a judge with a quarrel about a pear tree. The tree stood on the land of the first, whose grandfather had planted it; but it leaned, and every autumn nearly all of its pears fell on the land of the second. The first farmer said that the fruit was his because the tree was his. The second said that the fruit was his because it came to him of its own free will, and that no court could order a pear to walk home.

The judge asked the first farmer whether he had ever propped the tree to stop it leaning. He had not; props cost money. She asked the second whether he had ever watered it in a dry year. He had not; it was not his tree. Then she asked who had mended the wall when the weight of the branches broke it. Each of them began to speak, looked at the other, and stopped.

"I see," said the judge. "The tree belongs to the one who planted it, the pears belong to the one on whom they fall, and the wall belongs to both of you, because neither has looked after it. I therefore rule as follows. You shall build the wall again together. On the first day you shall decide how high it is to be. If you make it low, the pears will go on falling as they do now. If you make it high, they will land on top of it, and the birds will thank you. I shall come in the autumn and taste the result."

They built it in four days, of a height at which two people can lean on their elbows and talk. In the autumn, when the judge came, there was a ladder on one side of the tree, a basket on the other, and three glasses on the wall.

The access code of the courthouse is 4460. The access code of the orchard is 9915.

Questions and Answers

The records so far can be looked up again. Each question below has one answer, and it stands in the text above.

What is the access code of the lighthouse? The access code of the lighthouse is 4917.
What is the access code of the archive? The access code of the archive is 5528.
What is the access code of the quarry? The access code of the quarry is 3395.
What is the access code of the server room? The access code of the server room is 1178.
What is the access code of the bakery? The access code of the bakery is 7351.
What is the access code of the mountain hut? The access code of the mountain hut is 7749.
What is the access code of the observatory? The access code of the observatory is 2086.
What is the access code of the railway office? The access code of the railway office is 6204.
What is the access code of the boathouse? The access code of the boathouse is 9073.
What is the access code of the greenhouse? The access code of the greenhouse is 1640.
What is the access code of the chapel? The access code of the chapel is 8812.
Which key belongs to the south? The key of the south is 4be2-1d58.
Which key belongs to the west? The key of the west is 58aa-f21b.
Who worked the ferry for twenty-six years? Marta Lindqvist worked the ferry for twenty-six years.
At what temperature in its middle is a loaf done? A loaf is done when its middle reaches 96 degrees.
How many letters did Honor Vane write to her brother? Honor Vane wrote forty letters to her brother.
From which town did the old man take the 8.15? The old man took the 8.15 from Norwell.
What does longest_run([3, 3, 1, 1, 1, 2]) return? It returns (2, 3).

A Talk on Tides

Let me begin with a question that sounds too easy. The Moon pulls the sea, and so the water bulges on the side that faces the Moon. Why, then, are there two high tides a day and not one? As the Earth turns, we pass under the bulge once in about twenty-five hours. Where does the other one come from?

The answer is that the Moon pulls everything, the solid Earth as well, and that it pulls what is near more strongly than what is far. The water on the near side is pulled a little more than the Earth is, so it runs ahead. The water on the far side is pulled a little less than the Earth is, so it stays behind. Seen from the ground, both look like water rising. It is not the strength of the pull that makes a tide; it is the difference of the pull from one side to the other. That is why the Sun, whose pull on us is far greater than the Moon's, raises tides less than half as high: it is so distant that one side of the Earth feels almost the same as the other.

When Sun and Moon stand in one line, at new moon and at full moon, their tides add up, and we have what sailors call springs. When they stand at a right angle, they work against each other, and we have neaps. All this would be simple on a planet covered by one deep ocean. On ours there are continents in the way, and the water sloshes in its basins like soup in a carried plate. In some bays it swings in time with the Moon, and the sea may rise by fifteen metres. In other places, scarcely a day's sail away, it hardly moves at all, and people there learn about tides from books, as I did. Thank you. I am told that there is tea.

The access code of the harbour office is 3027.

The Inventory of the House on Quay Street

| room | object | year | value |
| hall | clock, oak, does not strike | 1884 | 240 |
| hall | umbrella stand, brass | 1902 | 65 |
| study | globe, one ocean missing | 1871 | 410 |
| study | letters of H. Vane, forty | 1928 | unknown |
| kitchen | table, scrubbed | 1850 | 180 |
| attic | model of the harbour, unfinished | 2019 | 12 |

The access code of the attic is 5183. The access code of the wine cellar is 2694.

More Questions and Answers

Some of these were answered once already.

What is the access code of the lighthouse? The access code of the lighthouse is 4917.
What is the access code of the orchard? The access code of the orchard is 9915.
What is the access code of the wine cellar? The access code of the wine cellar is 2694.
What is the access code of the courthouse? The access code of the courthouse is 4460.
What is the access code of the harbour office? The access code of the harbour office is 3027.
What is the access code of the bakery? The access code of the bakery is 7351.
What is the access code of the attic? The access code of the attic is 5183.
Who fell into the river at the third post? The schoolteacher, Anselm Okafor, fell into the river at the third post.
How much of the weight of a basalt is silica? Between 45 and 52 per cent of the weight of a basalt is silica.
How heavy is the tent on the packing list? The tent on the packing list weighs 1.9 kg.
How long did the two farmers take to build the wall? The two farmers took four days to build the wall.
What do sailors call the tides at new moon and full moon? Sailors call the tides at new moon and full moon springs.
In which year was the clock in the hall made? The clock in the hall was made in 1884.
`;
